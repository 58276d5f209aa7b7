-- view:    stg_layers
-- grain:   one row per layer of a run
-- key:     dataset, run_id, layer
-- reads:   raw_layers
-- purpose: The layers of each run and how they were read.
--
-- column        type       unit   meaning
-- dataset       varchar           name of the dataset
-- run_id        varchar           the run
-- model_id      varchar           architecture:pretrained
-- layer         varchar           module path, point and pooling
-- layer_path    varchar           module path, as in named_modules()
-- point         varchar           input or output of the module
-- pooling       varchar           max, mean, center or cls
-- tower         varchar           visual or text
-- module_kind   varchar           class of the module
-- unit_count    integer    count  neurons of the layer
-- is_rectified  boolean           a ReLU (its input too), or never below 0
-- grid_rows     integer    count  rows of its map, or of its patches; null: no grid
-- grid_columns  integer    count  columns of them
-- token_count   integer    count  tokens of an example; null where it has none
-- prefix_tokens integer    count  of these, before the patches (the class token)
-- store         varchar           positive (only above zero is stored), all, none, or
--                                 top:FRAC (the strongest share of each shard)
-- is_cut        boolean           store is none or top:FRAC: absent activations can be
--                                 anything; else they are zero or below
-- presets       varchar[]         names of the presets that mean it, as goh2021
select
    dataset, run_id, model_id, layer, layer_path, point, pooling, tower, module_kind,
    unit_count, is_rectified, grid_rows, grid_columns, token_count, prefix_tokens,
    store,
    store = 'none' or starts_with(store, 'top:') as is_cut,
    presets,
from raw_layers;
