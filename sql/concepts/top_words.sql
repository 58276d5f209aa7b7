-- view:    top_words
-- grain:   one row per neuron and rank of a word
-- key:     dataset, run_id, layer, unit, word_rank
-- reads:   stg_stimuli, stg_examples, stg_run_examples, stg_activations,
--          neuron_stats, top_examples, settings
-- purpose: The words whose renderings excite each neuron most, best first.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (top words of a neuron)
--
-- A word is a text in a language; its renderings are the stimuli of kind word, in all
-- fonts and places, repeated images included. The mean is over all of them: activations
-- that a run does not store (zero or below) count as 0. Words with a mean of zero or
-- below are left out, and so are ranks beyond the setting label_top_k. Filter by layer
-- and unit.
--
-- column           type     unit         meaning
-- dataset          varchar               name of the dataset
-- model_id         varchar               architecture:pretrained
-- run_id           varchar               the run
-- layer            varchar               module path, point and pooling
-- unit             integer  index 0..    position of the neuron inside its layer
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
        stg_run_examples.dataset,
        stg_run_examples.model_id,
        stg_run_examples.run_id,
        stg_run_examples.example_id,
        coalesce(stg_examples.duplicate_of, stg_examples.example_id) as shown_by,
        stg_stimuli.text as word,
        coalesce(stg_stimuli.language, 'und') as language,
        stg_stimuli.concept,
        stg_stimuli.category,
    from stg_stimuli
    inner join stg_examples
        on
            stg_stimuli.dataset = stg_examples.dataset
            and stg_stimuli.example_id = stg_examples.example_id
    inner join stg_run_examples
        on
            stg_stimuli.dataset = stg_run_examples.dataset
            and stg_stimuli.example_id = stg_run_examples.example_id
    where stg_stimuli.stimulus = 'word' and stg_stimuli.text is not null
),

words as (
    select
        renderings.dataset,
        renderings.model_id,
        renderings.run_id,
        renderings.word,
        renderings.language,
        min(renderings.concept) as concept,
        arg_min(renderings.category, renderings.concept) as category,
        count(*) as rendering_count,
    from renderings
    group by all
),

sums as (
    select
        stg_activations.dataset,
        stg_activations.run_id,
        stg_activations.layer,
        stg_activations.unit,
        renderings.word,
        renderings.language,
        sum(stg_activations.activation::double) as activation_sum,
    from stg_activations
    inner join renderings
        on
            stg_activations.dataset = renderings.dataset
            and stg_activations.run_id = renderings.run_id
            and stg_activations.example_id = renderings.example_id
    group by all
),

best_ranks as (
    select
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        renderings.word,
        renderings.language,
        min(top_examples.example_rank) as best_rank,
    from top_examples
    inner join renderings
        on
            top_examples.dataset = renderings.dataset
            and top_examples.run_id = renderings.run_id
            and top_examples.example_id = renderings.shown_by
    where top_examples.polarity = 'positive'
    group by all
),

ranked as (
    select
        sums.dataset,
        words.model_id,
        sums.run_id,
        sums.layer,
        sums.unit,
        row_number() over (
            partition by sums.dataset, sums.run_id, sums.layer, sums.unit
            order by
                sums.activation_sum / words.rendering_count desc,
                sums.word asc,
                sums.language asc
        ) as word_rank,
        sums.word,
        sums.language,
        words.concept,
        words.category,
        words.rendering_count,
        sums.activation_sum / words.rendering_count as activation,
    from sums
    inner join words
        on
            sums.dataset = words.dataset
            and sums.run_id = words.run_id
            and sums.word = words.word
            and sums.language = words.language
    where sums.activation_sum > 0
)

select
    ranked.dataset,
    ranked.model_id,
    ranked.run_id,
    ranked.layer,
    ranked.unit,
    ranked.word_rank,
    ranked.word,
    ranked.language,
    ranked.concept,
    ranked.category,
    ranked.rendering_count,
    ranked.activation,
    ranked.activation / nullif(neuron_stats.sd, 0) as activation_sd,
    (ranked.activation - neuron_stats.mean) / nullif(neuron_stats.sd, 0)
        as activation_z,
    best_ranks.best_rank,
from ranked
cross join settings
inner join neuron_stats
    on
        ranked.dataset = neuron_stats.dataset
        and ranked.run_id = neuron_stats.run_id
        and ranked.layer = neuron_stats.layer
        and ranked.unit = neuron_stats.unit
left join best_ranks
    on
        ranked.dataset = best_ranks.dataset
        and ranked.run_id = best_ranks.run_id
        and ranked.layer = best_ranks.layer
        and ranked.unit = best_ranks.unit
        and ranked.word = best_ranks.word
        and ranked.language = best_ranks.language
where ranked.word_rank <= settings.label_top_k;
