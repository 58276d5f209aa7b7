-- view:    run_summary
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   run_coverage, runs, label_baselines, multimodality_summary
-- purpose: Every run on one line: what it rests on, what it found, what chance finds.
--
-- Details stand in the views that it reads.
--
-- column               type    unit   meaning
-- dataset, model_id, run_id, is_random, shard_count, rejected_count, lost_format_count,
-- image_count, text_image_count, concept_image_count, texts_image_count,
-- stimulus_image_count, similarity_image_count
-- language_count       bigint  count  languages of the texts
-- neuron_count, labelled_count, circular_count
-- permuted_count       double  count  labelled with permuted concepts, mean
-- label_score
-- constant_score       double  0..1   the same of the best constant label
-- tested_count         bigint  count  neurons with two tested facets or more
-- multimodal_90_count  bigint  count  of these, with an index of at least 0.9
-- permuted_90_count
-- untrained_90_count   double  count  the same of an untrained model, or null
with

multimodal as (
    select
        dataset, run_id,
        sum(tested_count)::bigint as tested_count,
        sum(multimodal_90_count)::bigint as multimodal_90_count,
        sum(permuted_90_count) as permuted_90_count,
        sum(untrained_90_count) as untrained_90_count,
    from multimodality_summary
    where category = 'all' and facet_origin = 'stimulus'
    group by all
)

select
    dataset, runs.model_id, run_id, runs.is_random, runs.shard_count,
    run_coverage.rejected_count, lost_format_count, run_coverage.image_count,
    text_image_count, concept_image_count, texts_image_count, stimulus_image_count,
    similarity_image_count, language_count,
    coalesce(neuron_count, 0) as neuron_count,
    coalesce(labelled_count, 0) as labelled_count,
    coalesce(circular_count, 0) as circular_count,
    permuted_count, label_score, constant_score,
    coalesce(tested_count, 0) as tested_count,
    coalesce(multimodal_90_count, 0) as multimodal_90_count,
    permuted_90_count, untrained_90_count,
from runs
inner join run_coverage using (dataset, run_id)
left join label_baselines using (dataset, run_id)
left join multimodal using (dataset, run_id);
