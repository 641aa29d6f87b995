"""What we are measured beside; never imported by the product."""
