"""The HTTP surface: one router per resource, which turns a request into a command and back."""
