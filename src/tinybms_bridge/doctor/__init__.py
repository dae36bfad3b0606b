"""What is wrong with a bridge and what to do about it: findings in plain words, for the command line and for the pages.

``bms`` reads a BMS, through its port or through the running core, and ``verdicts`` judges what was read; ``bus`` judges
what was heard on CAN, ``machine`` what a bridge needs beside its ports. Each tells ``findings``.
"""
