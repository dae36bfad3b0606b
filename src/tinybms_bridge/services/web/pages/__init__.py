"""Pages that the server makes whole: no script, nothing from another host, every text escaped.

They are trees of elements and not templates, so that no text of a peer, a BMS or a file can become markup.
"""
