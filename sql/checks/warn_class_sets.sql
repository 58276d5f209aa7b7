-- view:    warn_class_sets
-- grain:   one row per class set that lacks examples of its run
-- key:     dataset, run_id, class_set
-- reads:   class_sets
-- purpose: Runs that have grown since they were classified: repeat what made the class
--          set (of facets: neurons similarity; else neurons attack or stroop).
--
-- column              type     unit   meaning
-- dataset, run_id
-- class_set           varchar         the class set
-- unclassified_count  bigint   count  examples that it lacks
select
    dataset, run_id, class_set, unclassified_count,
from class_sets
where unclassified_count <> 0;
