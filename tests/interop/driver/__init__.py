"""Drives real SMPP programs through smppmux, or against each other, and checks what they saw."""
