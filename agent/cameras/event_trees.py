"""Which trees of event topics a camera is asked for: all but echoes of our own orders.

Some tell each step of a move, and each change of an encoder, to whoever ordered it. What a camera
lists is not the whole truth, so all that we know is asked for besides; one with topics of its
maker's own, or none to leave out, is asked for everything, without a filter.
"""

from lxml import etree

from agent.cameras.line import OnvifLine, Service
from agent.cameras.topics import topics
from agent.cameras.xml_text import child, everywhere, local, text

_TOPICS = "http://www.onvif.org/ver10/topics"
_DIALECT = "topicExpression/ConcreteSet"
_ECHOES = {
    "AudioDecoder",
    "AudioEncoder",
    "AudioOutput",
    "Configuration",
    "Media",
    "MediaControl",
    "PTZController",
    "Receiver",
    "VideoDecoder",
    "VideoEncoder",
    "VideoOutput",
}


def wanted_trees(line: OnvifLine) -> tuple[str, ...]:
    """Return the trees to ask for, none for everything. Raises `CameraFailure`."""
    answer = line.ask(Service.EVENTS, "<tev:GetEventProperties/>")
    dialects = (text(found) for found in everywhere(answer, "TopicExpressionDialect"))
    listed = child(answer, "TopicSet")
    roots = [] if listed is None else [e for e in listed if isinstance(e.tag, str)]
    names = {local(root) for root in roots}
    is_standard = all(etree.QName(root).namespace == _TOPICS for root in roots)
    if not names & _ECHOES or not is_standard or not any(_DIALECT in each for each in dialects):
        return ()
    known = {row.topic.partition("/")[0] for row in topics().values()}
    return tuple(f"tns1:{name}//." for name in sorted((names | known) - _ECHOES))
