-- view:    layers
-- grain:   one row per layer of a run
-- key:     dataset, run_id, layer
-- reads:   stg_layers
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
-- unit_count    integer    count   neurons of the layer
-- is_rectified  boolean           a ReLU (its input too), or never below 0
-- store         varchar           positive (only above zero is stored) or all
-- presets       varchar[]         names of the presets that mean it, as goh2021
select
    stg_layers.dataset,
    stg_layers.run_id,
    stg_layers.model_id,
    stg_layers.layer,
    stg_layers.layer_path,
    stg_layers.point,
    stg_layers.pooling,
    stg_layers.tower,
    stg_layers.module_kind,
    stg_layers.unit_count,
    stg_layers.is_rectified,
    stg_layers.store,
    stg_layers.presets,
from stg_layers;
