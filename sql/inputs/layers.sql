-- view:    layers
-- grain:   one row per layer of a run
-- key:     dataset, run_id, layer
-- reads:   stg_layers
-- purpose: The layers of each run and how they were read.
--
-- column  type  unit  meaning
-- dataset, run_id, model_id, layer, layer_path, point, pooling, tower, module_kind,
-- unit_count, is_rectified, grid_rows, grid_columns, token_count, prefix_tokens, store,
-- is_cut, presets
select
    dataset, run_id, model_id, layer, layer_path, point, pooling, tower, module_kind,
    unit_count, is_rectified, grid_rows, grid_columns, token_count, prefix_tokens,
    store, is_cut, presets,
from stg_layers;
