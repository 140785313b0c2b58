"""What the drivers of MySQL and MariaDB have in common; what is a driver's own comes in through `wire.Wire`."""
