"""Whole model folders or nothing. The only room that touches models/."""
