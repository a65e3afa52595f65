"""Write a prescription into the user's own source: one edit, one file; comments and formatting stay."""
