"""A small RTSP relay, for tests and demos: takes what boxes push, shows it to players.

It is a simulator and says so in the `Server` header of every answer.
"""
