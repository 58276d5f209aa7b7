"""How the map of the world is made: ``python -m pipeline.stimuli.make_world`` fetches packages and writes it.

For those who change it: what ships is the result, ``world.json`` (`pipeline.stimuli.world`), and nothing here
runs when a map is drawn. ``topology`` reads outlines from TopoJSON and leaves out points that nobody sees,
``projection`` brings them onto the plane, and ``countries`` says which outline is which concept of the lexicon.
"""
