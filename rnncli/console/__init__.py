"""What a person sees: views of reports. The only room that imports rich."""
