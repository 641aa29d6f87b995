"""Who may use the platform: tenants, users, and the tokens that prove a login."""
