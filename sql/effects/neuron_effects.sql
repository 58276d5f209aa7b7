-- view:    neuron_effects
-- grain:   one row per neuron that was measured
-- key:     dataset, run_id, layer, unit
-- reads:   neuron_faithfulness, concept_effects
-- purpose: Whether a neuron matters: which concept it pushes, and what its loss costs.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030
--
-- The push of a concept is the mean change of its cosine over the levels above 0, on
-- held-out examples that do not show the neuron's concept (see effect_levels). Ranks
-- are among all tested concepts, 1 = pushed most, ties by name. Beside each stands the
-- same for another tested concept, drawn at random, and with a random direction of the
-- same norm in place of the neuron; faithfulness and loss are of neuron_faithfulness.
-- The concept is the neuron's label when it was measured: join it with that of
-- neuron_labels.
--
-- column                  type     unit       meaning
-- dataset, model_id, run_id, layer, unit, concept, other_concept, concept_count,
-- hidden_count, shown_count, held_out_count
-- pushed_concept          varchar             concept that the neuron pushes most
-- pushed_change           double   -2..2      its push
-- label_change            double   -2..2      push of the label, or null
-- label_rank              bigint   rank 1..   its rank, or null
-- other_change            double   -2..2      push of the other concept
-- other_rank              bigint   rank 1..   its rank
-- direction_concept       varchar             concept that the direction pushes most
-- direction_change        double   -2..2      push of the label by the direction
-- direction_rank          bigint   rank 1..   its rank
-- faithfulness, other_faithfulness, direction_faithfulness, loss, other_loss,
-- direction_loss
with

pushes as (
    select
        dataset, run_id, layer, unit, concept,
        avg(cosine_change) as push,
        avg(cosine_direction) as direction_push,
    from concept_effects
    where level > 0
    group by all
),

ranked as (
    select
        *,
        row_number() over neuron_order as push_rank,
        row_number() over direction_order as direction_push_rank,
    from pushes
    window
        neuron_order as (
            partition by dataset, run_id, layer, unit order by push desc, concept asc
        ),
        direction_order as (
            partition by dataset, run_id, layer, unit
            order by direction_push desc, concept asc
        )
)

select
    m.dataset, m.model_id, m.run_id, m.layer, m.unit,
    m.concept, m.other_concept, m.concept_count, m.hidden_count,
    m.shown_count, m.held_out_count,
    any_value(ranked.concept) filter (where push_rank = 1) as pushed_concept,
    any_value(push) filter (where push_rank = 1) as pushed_change,
    any_value(push) filter (where ranked.concept = m.concept) as label_change,
    any_value(push_rank) filter (where ranked.concept = m.concept) as label_rank,
    any_value(push) filter (where ranked.concept = other_concept) as other_change,
    any_value(push_rank) filter (where ranked.concept = other_concept) as other_rank,
    any_value(ranked.concept) filter (where direction_push_rank = 1)
        as direction_concept,
    any_value(direction_push) filter (where ranked.concept = m.concept)
        as direction_change,
    any_value(direction_push_rank) filter (where ranked.concept = m.concept)
        as direction_rank,
    any_value(faithfulness) as faithfulness,
    any_value(other_faithfulness) as other_faithfulness,
    any_value(direction_faithfulness) as direction_faithfulness,
    any_value(loss) as loss,
    any_value(other_loss) as other_loss,
    any_value(direction_loss) as direction_loss,
from neuron_faithfulness as m
inner join ranked using (dataset, run_id, layer, unit)
group by all;
