"""What is needed to put the platform somewhere: migrations, images, rules, dashboards."""
