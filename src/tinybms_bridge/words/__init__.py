"""Codes and parameters in sentences, in the languages of the catalogue.

State, wire and API carry a code with its parameters, and an English text beside them for whoever does not know the
code. ``english`` and ``french``, each with its ``_settings``, ``_registers``, ``_can``, ``_web``, ``_plain``,
``_install`` and ``_services``, hold one line for each code; whoever translates edits nothing else.
"""

from tinybms_bridge.words.catalogue import ENGLISH, LANGUAGES, Language, codes, knows, say
from tinybms_bridge.words.message import JsonValue, Message, message

__all__ = ["ENGLISH", "LANGUAGES", "JsonValue", "Language", "Message", "codes", "knows", "message", "say"]
