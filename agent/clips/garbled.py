"""What reading a garbled file ends with."""

from av.error import FFmpegError

# What libav and PyAV say, as fuzzing showed: a box without a track, a bad text, too long a time ...
GARBLED = (
    FFmpegError,
    OSError,
    LookupError,
    AttributeError,
    MemoryError,
    ValueError,
    OverflowError,
)
LONGEST_S = 3600  # longer than any segment: the length of a packet that says so is garbled
