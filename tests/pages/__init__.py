"""The pages of the tools: made from what each tool declares, and from a real run of it."""
