"""How the lexicon is made: ``python -m pipeline.concepts.make`` fetches pinned packages and writes it.

For those who change it: what ships is the result, and nothing here runs when the lexicon is read.
``packages`` names each source with its version and hash, ``cldr`` reads what Unicode's packages
hold, ``regions``, ``calendar``, ``numbers``, ``things``, ``shared_words`` and ``holidays`` turn
that into phrases, ``own`` reads our own list, ``keep`` says which phrases are worth keeping, and
``table`` puts them together.
"""
