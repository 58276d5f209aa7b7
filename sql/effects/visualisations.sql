-- view:    visualisations
-- grain:   one row per picture that a neuron drew, or a direction in its layer
-- key:     dataset, run_id, layer, picture
-- reads:   raw_visualisations, neuron_stats, stg_runs
-- purpose: Pictures that neurons drew, and what the model answers to them.
-- cite:    Olah et al. 2017, doi:10.23915/distill.00007; Goh et al. 2021,
--          doi:10.23915/distill.00030; Fel et al. 2023, arXiv:2306.06805
--
-- They are made by the model and no images of a dataset. The activation is what the
-- run's model answers to the finished picture, saved and read again like any other
-- image. Of directions, what is about the dataset is null. A neuron has several rows
-- where it drew several pictures, or with several settings: pictures that are alike in
-- the column settings were drawn alike.
--
-- column                  type      unit         meaning
-- dataset, model_id, run_id, layer, picture, unit, direction, facet, number,
-- image_count, parametrisation, transformations, steps, seed, settings, width_px,
-- height_px, activation
-- activation_sd           double    SD           the same, in SD of the run from zero
-- dataset_max             float     model units  largest activation in the dataset
-- dataset_max_sd          double    SD           the same, in SD from zero
-- dataset_quantile_999    double    model units  0.999 quantile in the dataset
-- facet_probability, draw_s, bytes, image_sha256
-- url                     varchar                its PNG file, in the warehouse
with

neurons as (
    select
        dataset, run_id, layer, unit, sd,
        max as dataset_max,
        quantile_999 as dataset_quantile_999,
    from neuron_stats
)

select
    dataset, model_id, run_id, layer, picture, unit, direction, facet, number,
    image_count, parametrisation, transformations, steps, seed, settings, width_px,
    height_px, activation,
    activation / nullif(sd, 0) as activation_sd,
    dataset_max,
    dataset_max / nullif(sd, 0) as dataset_max_sd,
    dataset_quantile_999, facet_probability, draw_s, bytes, image_sha256,
    concat(
        'dataset=', url_encode(dataset), '/run_id=', url_encode(run_id),
        '/visualisations/layer=', url_encode(layer), '/', picture, '.png'
    ) as url,
from raw_visualisations
inner join stg_runs using (dataset, run_id)
left join neurons using (dataset, run_id, layer, unit);
