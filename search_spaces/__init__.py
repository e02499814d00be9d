"""Search spaces that ship with tune_mixup; each module defines SPACE."""
