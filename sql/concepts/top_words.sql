-- view:    top_words
-- grain:   one row per neuron and rank of a word
-- key:     dataset, run_id, layer, unit, word_rank
-- reads:   stg_stimuli, stg_examples, stg_run_examples, stg_activations, stg_layers,
--          neuron_stats, top_examples, settings
-- purpose: The words whose renderings excite each neuron most, best first.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (top words of a neuron)
--
-- A word is a text in a language; its renderings are the stimuli of kind word, in all
-- fonts and places, repeated images included. The mean is over all of them: activations
-- that a run does not store (zero or below) count as 0. Words with a mean of zero or
-- below are left out, and so are ranks beyond the setting label_top_k, and layers that
-- keep no activations or a share. Filter by layer and unit.
--
-- column           type     unit         meaning
-- dataset, model_id, run_id, layer, unit
-- word_rank        bigint   rank 1..     1 = most exciting; ties by word, then language
-- word             varchar               the word as it is drawn
-- language         varchar  BCP 47       its language; 'und' if unknown
-- concept          varchar               concept that it names, or null
-- category         varchar               family of that concept, or null
-- rendering_count  bigint   count        images of the word in the run
-- activation       double   model units  mean activation over them
-- activation_sd    double   SD           the same in standard deviations from zero
-- activation_z     double   SD           the same in those from the neuron's mean
-- best_rank        bigint   rank 1..     best rank of such an image among the neuron's
--                                        top examples, or null
with

renderings as (
    select
        dataset, model_id, run_id, example_id,
        coalesce(duplicate_of, example_id) as shown_by,
        text as word,
        coalesce(language, 'und') as language,
        concept, category,
    from stg_stimuli
    inner join stg_examples using (dataset, example_id)
    inner join stg_run_examples using (dataset, example_id)
    where stimulus = 'word' and text is not null
),

words as (
    select
        dataset, model_id, run_id, word, language,
        min(concept) as concept,
        arg_min(category, concept) as category,
        count(*) as rendering_count,
    from renderings
    group by all
),

cut_layers as (
    select dataset, run_id, layer,
    from stg_layers
    where is_cut
),

sums as (
    select
        dataset, run_id, layer, unit, word, language,
        sum(activation::double) as activation_sum,
    from stg_activations
    inner join renderings using (dataset, run_id, example_id)
    anti join cut_layers using (dataset, run_id, layer)
    group by all
),

best_ranks as (
    select
        top_examples.dataset, top_examples.run_id, layer, unit, word, language,
        min(example_rank) as best_rank,
    from top_examples
    inner join renderings
        on
            top_examples.dataset = renderings.dataset
            and top_examples.run_id = renderings.run_id
            and top_examples.example_id = renderings.shown_by
    where polarity = 'positive'
    group by all
),

ranked as (
    select
        *,
        activation_sum / rendering_count as activation,
        row_number() over (
            partition by dataset, run_id, layer, unit
            order by activation_sum / rendering_count desc, word asc, language asc
        ) as word_rank,
    from sums
    inner join words using (dataset, run_id, word, language)
    where activation_sum > 0
)

select
    dataset, ranked.model_id, run_id, layer, unit, word_rank, word, language,
    concept, category, rendering_count,
    activation,
    activation / nullif(sd, 0) as activation_sd,
    (activation - mean) / nullif(sd, 0) as activation_z,
    best_rank,
from ranked
cross join settings
inner join neuron_stats using (dataset, run_id, layer, unit)
left join best_ranks using (dataset, run_id, layer, unit, word, language)
where word_rank <= label_top_k;
