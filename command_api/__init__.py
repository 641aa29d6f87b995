"""The commands side: requests become commands, commands become facts."""
