"""aioclustersql: an asyncio-native connection multiplexer for SQL clusters."""
