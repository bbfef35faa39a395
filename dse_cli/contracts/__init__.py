"""Pure data: one file per contract, no IO. Everything above imports these."""
