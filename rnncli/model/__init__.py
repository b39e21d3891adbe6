"""Mathematics: ids to probabilities. No file, no print, no clock."""
