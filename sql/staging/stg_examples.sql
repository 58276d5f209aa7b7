-- view:    stg_examples
-- grain:   one row per indexed example
-- key:     dataset, example_id
-- reads:   raw_examples, raw_duplicates, raw_shards
-- purpose: Indexed examples, with the shard they are in and the image they repeat.
--
-- column        type     unit  meaning
-- dataset, example_id, shard_ordinal
-- shard         varchar        name of the tar
-- shard_key, image_sha256, width_px, height_px, mime_type, image_offset, image_bytes,
-- source_url, is_turned
-- duplicate_of  bigint   id    first example with the same image, or null
-- copy_kind     varchar        identical, resized, grey, cropped; null if first
-- half          varchar        screening or testing, by a hash of the first
select
    dataset, example_id, shard_ordinal, shard, shard_key, image_sha256, width_px,
    height_px, mime_type, image_offset, image_bytes, source_url,
    coalesce(is_turned, false) as is_turned,
    duplicate_of,
    case
        when duplicate_of is not null then coalesce(copy_kind, 'identical')
    end as copy_kind,
    image_half(coalesce(first_sha256, image_sha256)) as half,
from raw_examples
inner join raw_shards using (dataset, shard_ordinal)
left join raw_duplicates using (dataset, example_id);
