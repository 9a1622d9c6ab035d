"""What stations report, and what a tablet does there."""
