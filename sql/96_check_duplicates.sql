-- view:    check_duplicates
-- grain:   one row per image that is not marked exactly once
-- key:     dataset, image_sha256
-- reads:   stg_examples
-- purpose: Images that occur twice without the second being marked as a repeat.
--
-- column          type     unit   meaning
-- dataset         varchar         name of the dataset
-- image_sha256    varchar  hex    hash of the image
-- unmarked_count  bigint   count  examples with it that are not marked; must be 1
select
    stg_examples.dataset,
    stg_examples.image_sha256,
    count(*) filter (where stg_examples.duplicate_of is null) as unmarked_count,
from stg_examples
group by stg_examples.dataset, stg_examples.image_sha256
having count(*) filter (where stg_examples.duplicate_of is null) <> 1;
