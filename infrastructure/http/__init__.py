"""What both APIs share on the HTTP side, from framing to problem documents."""
