"""Model directories, written completely or not at all. Only this package writes to models/."""
