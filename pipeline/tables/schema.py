"""Every Parquet table that we write: column, type, unit, meaning, key.

This is the contract between the writers (sources, extract, compact) and the readers (the views under
``sql/``, and anyone who opens the files without us). ``warehouse/README.md`` is generated from it. What a
table and a column are: `columns`; the tables themselves: `index_tables`, `run_tables`, `effect_tables`,
`visual_tables` and `figure_tables`.

Where the files lie (``D`` a dataset, ``R`` a run, ``L`` a layer, ``N`` a shard's ordinal, five digits)::

    checked.json                                  what the last check found good: a cache
    dataset=D/snapshot-G-ID.json                  all records of the folder, to open it quickly: a cache; and
                                                  one in each run's folder
    dataset=D/new-N-CHECKSUM                      empty: manifest N is newer than the snapshot, or is to be
    dataset=D/dataset.json                        the registered, append-only list of shards
    dataset=D/shards/N.tar                        shards that an ingest wrote (others stay where they are)
    dataset=D/{examples,texts,rejects}/N.parquet  the index
    dataset=D/notices/N.parquet                   what was left out of used examples; only where there is some
    dataset=D/stimuli/N.parquet                   what controlled stimuli show; only where a shard has some
    dataset=D/fingerprints/N.parquet              what the images look like; not of stimuli
    dataset=D/duplicates/N.parquet                images that an earlier example already showed, or a copy
    dataset=D/manifests/N.json                    written last: the index of shard N is done; and once
                                                  more when its duplicates are: then views show it
    dataset=D/run_id=R/run.json                   the configuration, the model and the layers
    dataset=D/run_id=R/activations/layer=L/N.parquet      and shard_stats, shard_histograms, shard_top,
                                                          shard_samples
    dataset=D/run_id=R/shard_stats/layer=L/merged-*.parquet  the same of many shards in one, and of
                                                          shard_histograms, shard_top, merged_samples
    dataset=D/run_id=R/merged.json                written last: which shards, and which files
    dataset=D/run_id=R/{embeddings,run_rejects}/N.parquet
    dataset=D/run_id=R/manifests/N.json           written last: shard N is done
    dataset=D/run_id=R/class_scores/class_set=C/N-*.parquet  zero-shot scores of shard N
    dataset=D/run_id=R/class_sets/C.json          written last: classes, prompts, and which files
    dataset=D/run_id=R/concept_scores/N-*.parquet  the model's own reading of shard N
    dataset=D/run_id=R/concept_embeddings/*.parquet  text embeddings of the concepts' prompts
    dataset=D/run_id=R/similarity.json            written last: concepts, prompts, and which files
    dataset=D/run_id=R/effects/layer=L/B-*.parquet  what setting neurons does, of a block of them; and
                                                  concept_effects
    dataset=D/run_id=R/effects/NAME.json          written last: layer, concepts, levels, and which files
    dataset=D/run_id=R/ablations/layer=L/class_set=C/A-*.parquet  an attack without the neurons it moves
    dataset=D/run_id=R/ablations/NAME.json        written last: layer, classes, counts, and which files
    dataset=D/run_id=R/fresh_images/layer=L/B-*.parquet  fresh images of a block of concepts, and what they
                                                  excite
    dataset=D/run_id=R/fresh_scores/layer=L/*.parquet  how each neuron tells the concepts apart on them
    dataset=D/run_id=R/support/NAME.json          written last: layer, concepts, fonts, and which files
    dataset=D/run_id=R/facet_probes/layer=L/facet=F/*.parquet  what tells a facet from others, on a lower
                                                  layer
    dataset=D/run_id=R/facet_probes/NAME.json     written last: layer, facet, by which images, and which file
    dataset=D/run_id=R/visualisations/layer=L/NAME-*.png  pictures that neurons drew; and *.parquet, what is
                                                  known of them
    dataset=D/run_id=R/visualisations/NAME.json   written last: layer, and which files
    dataset=D/run_id=R/weight_texts/layer=L/*.parquet  the phrases that each neuron writes
    dataset=D/run_id=R/second_order_texts/layer=L/*.parquet  and those of what it does through later attention
    dataset=D/run_id=R/word_embeddings/*.parquet  words that were drawn as images, through the image tower
    dataset=D/run_id=R/region_answers/layer=L/*.parquet  what neurons answer to the names of regions
    dataset=D/run_id=R/map_answers/layer=L/*.parquet  and to crops of a map of the world
    dataset=D/run_id=R/figures/NAME.json          written last: figure, layer, texts, and which file
    dataset=D/run_id=R/human_labels/layer=L/NAME-*.parquet  what one person says of one neuron's sample
    dataset=D/run_id=R/human_labels/NAME.json     written last: who, which neuron, and which file
    dataset=D/run_id=R/compact/V/layer=L/B.parquet  the finalised form, one file per block of units
    dataset=D/run_id=R/compact/V/layer=L/B-stats.parquet  and what rank statistics need beside it
    dataset=D/run_id=R/compact.json               written last: which version V, of which shards
    marts/dataset=D/<mart>-F.parquet              what neurons build derived, from data of fingerprint F
    marts/dataset=D/run_id=R/<mart>-F.parquet     the same of a run; in with=S/, of runs R and S together
    marts/all/<mart>-F.parquet                    the same of all datasets
    marts/build.json                              written last: which files, and with which settings
    concepts/own.json                             phrases that somebody gave the warehouse
    *.json.copy                                   the same record again, where nothing else could give it back

``dataset``, ``run_id`` and ``layer`` are Hive partitions: they are columns of every view although no
file repeats them.
"""

from __future__ import annotations

from pipeline.tables.columns import Table
from pipeline.tables.effect_tables import EFFECT_TABLES
from pipeline.tables.figure_tables import FIGURE_TABLES
from pipeline.tables.index_tables import INDEX_TABLES
from pipeline.tables.run_tables import RUN_TABLES
from pipeline.tables.visual_tables import VISUAL_TABLES

TABLES: dict[str, Table] = {
    table.name: table
    for table in (*INDEX_TABLES, *RUN_TABLES, *EFFECT_TABLES, *VISUAL_TABLES, *FIGURE_TABLES)
}
"""By name."""
