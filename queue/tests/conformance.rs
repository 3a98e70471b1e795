//! What every store must do. One body per rule, run on each store; when it is over, every
//! invariant must hold there.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "conformance/batch.rs"]
mod batch;
#[path = "conformance/batch_counts.rs"]
mod batch_counts;
#[path = "conformance/batch_lease.rs"]
mod batch_lease;
#[path = "conformance/batch_results.rs"]
mod batch_results;
#[path = "conformance/cache.rs"]
mod cache;
#[path = "conformance/cancel.rs"]
mod cancel;
#[path = "conformance/control.rs"]
mod control;
#[path = "conformance/dispatch.rs"]
mod dispatch;
#[path = "conformance/ends_together.rs"]
mod ends_together;
#[path = "conformance/fairness.rs"]
mod fairness;
#[path = "conformance/feed.rs"]
mod feed;
#[path = "conformance/finish.rs"]
mod finish;
#[path = "conformance/held_uploads.rs"]
mod held_uploads;
#[path = "conformance/intake.rs"]
mod intake;
#[path = "conformance/lease.rs"]
mod lease;
#[path = "conformance/ledger.rs"]
mod ledger;
#[path = "conformance/limits.rs"]
mod limits;
#[path = "model/mod.rs"]
mod model;
#[path = "conformance/objects.rs"]
mod objects;
#[path = "conformance/outbox.rs"]
mod outbox;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/redis_only.rs"]
mod redis_only;
#[path = "conformance/redis_packs.rs"]
mod redis_packs;
#[path = "conformance/rig.rs"]
mod rig;
#[path = "conformance/sqlite_only.rs"]
mod sqlite_only;
#[path = "conformance/stats.rs"]
mod stats;
#[path = "conformance/steering.rs"]
mod steering;
#[path = "conformance/uploads.rs"]
mod uploads;
#[path = "conformance/via_provider.rs"]
mod via_provider;

macro_rules! on {
    ($store:ident { $($area:ident: $($case:ident),+;)+ }) => {
        $(mod $area { $(
            #[tokio::test]
            async fn $case() {
                crate::$area::$case(crate::rig::Store::$store).await.check().await;
            }
        )+ })+
    };
}

macro_rules! conform {
    (executions $executions:tt batches $batches:tt) => {
        mod on_sqlite {
            on!(Sqlite $executions);
            on!(Sqlite $batches);
        }
        mod on_redis {
            on!(Redis $executions);
            on!(Redis $batches);
        }
        mod on_redis_with_objects {
            on!(RedisWithObjects $batches);
        }
    };
}

conform! {
    executions {
        intake: accepted_execution_is_kept_as_given, known_id_is_not_accepted_again,
            repeated_request_gets_the_first_answer, key_with_another_body_is_refused,
            keys_of_owners_are_apart, key_is_forgotten_after_its_time,
            later_start_waits_for_its_time,
            past_start_is_now, dry_run_is_kept_and_no_worker_sees_it, past_deadline_is_expired,
            waiting_execution_expires_at_its_deadline, scheduled_execution_expires_at_its_deadline,
            unknown_names_are_not_found;
        dispatch: oldest_comes_first, claim_takes_no_more_than_its_slots, task_is_what_was_asked,
            one_execution_goes_to_one_worker, paused_queue_gives_nothing,
            unregistered_worker_gets_nothing, claim_wakes_when_work_comes,
            claim_of_nothing_ends_in_time, dropped_claim_loses_nothing,
            dropped_claim_does_not_delay_the_next,
            bulk_takes_no_more_than_it_may;
        fairness: many_of_one_owner_do_not_delay_another, batches_take_turns_with_executions,
            batches_of_one_owner_take_turns, classes_share_16_4_1_one_by_one,
            classes_share_16_4_1_in_groups, idle_classes_leave_their_share;
        lease: beat_keeps_the_lease, lost_execution_comes_again_at_the_head,
            loss_uses_no_attempt, second_loss_makes_a_suspect,
            suspect_waits_for_a_worker_that_takes_it,
            suspect_that_kills_its_workers_fails, frozen_worker_that_nobody_missed_may_finish,
            late_result_is_recorded_once, late_result_stops_the_waiting_copy,
            late_failure_is_refused, late_result_is_refused_if_so_configured,
            late_worker_cannot_replace_a_result, dead_worker_is_told_and_gets_nothing,
            retired_worker_gives_back_at_once, execution_called_off_is_not_rescued,
            result_of_an_older_generation_is_refused;
        finish: success_is_kept, failure_is_kept_and_listed, retry_waits_its_delay,
            throttled_uses_no_attempt, returned_goes_to_the_head, expired_is_kept,
            cancelled_is_kept, attempts_of_all_generations_are_kept, oldest_attempts_are_forgotten,
            many_finish_at_once, big_results_come_back_whole;
        cancel: waiting_execution_is_cancelled_at_once, scheduled_execution_is_cancelled_at_once,
            running_execution_is_cancelled_by_order, whatever_comes_after_a_cancel_is_cancelled,
            cancelling_twice_is_no_error, ended_execution_is_not_cancelled,
            cancelled_executions_leave_the_lane, retry_makes_a_generation,
            retry_of_what_has_not_failed_is_refused, dead_list_is_retried_oldest_first;
        limits: full_queue_refuses, full_owner_is_refused_alone, batch_too_big_is_refused_whole,
            items_of_batches_that_run_make_no_room, room_comes_back, dead_list_is_bounded,
            old_results_are_forgotten;
        records: pages_hold_each_execution_once, filters_pick, batch_filter_lists_items_in_order,
            dead_pages_are_oldest_first, bad_cursor_is_not_a_crash, why_tells_what_it_waits_for,
            wait_wakes_at_the_end, wait_wakes_at_each_end, wait_wakes_for_an_item,
            many_who_wait_are_each_told, wait_gives_up_in_time;
        stats: counters_are_sums_of_what_ended, percentiles_are_within_two_percent,
            program_and_window_pick, depth_counts_what_waits, workers_are_the_live_ones,
            cache_hits_have_no_duration;
        ledger: calls_keep_an_even_pace, turn_that_is_too_late_is_not_taken,
            supply_held_off_is_nobodys,
            what_was_not_needed_is_given_back, own_reply_comes_back_in_its_place,
            equal_calls_are_made_once, reply_taken_back_is_asked_for_anew,
            call_given_up_is_another_s, right_of_a_dead_holder_runs_out,
            spent_budget_stops_new_calls,
            oldest_shared_replies_are_forgotten;
        feed: followers_hear_in_order_and_go_on_from_a_mark, follower_wakes_when_something_is_told,
            new_attempt_voids_what_was_told, what_was_told_is_bounded_and_forgotten;
        outbox: end_that_nobody_asked_for_gives_no_notice, every_way_to_end_gives_notice,
            notice_is_with_one_at_a_time, notice_of_a_lost_worker_comes_again,
            what_became_of_a_notice_is_counted, notice_comes_again_when_it_is_due,
            notice_that_goes_on_was_taken_once_however_often_it_was,
            execution_that_ends_again_gives_notice_again,
            batch_gives_notice_when_its_last_item_ends,
            tracked_batch_gives_notice_when_it_begins, oldest_notices_are_dropped_beyond_the_limit,
            steps_are_there_for_whoever_takes_the_notice,
            words_are_kept_with_a_subject, texts_outlive_the_results_that_name_them;
        ends_together: notices_put_in_together_go_each_its_own_way,
            notices_put_in_together_are_dropped_no_more_than_is_needed;
        control: pause_is_told_to_workers, programs_raise_the_epoch,
            manifests_raise_the_epoch_when_they_are_news, cleared_cache_raises_the_epoch,
            revoked_tokens_are_known_until_they_expire, ping_names_the_store;
    }
    batches {
        batch: batch_is_kept_as_given, items_are_executions, counts_follow_the_items,
            invalid_items_fail_at_once, batch_of_invalid_items_is_completed,
            empty_batch_is_completed,
            repeated_batch_gets_the_first_answer, cancelled_batch_stops,
            cancelled_batch_cancels_later,
            item_is_cancelled_alone, retry_of_a_batch_runs_only_what_failed, item_is_retried_alone,
            batches_are_listed_newest_first, batch_of_many_items_is_run_once_each,
            batch_expires_at_its_deadline, what_items_use_adds_up;
        batch_counts: items_that_end_together_count_each, items_called_off_end_so_among_others;
        batch_results: results_come_in_order_while_it_runs, results_are_filtered_and_paged,
            results_in_turn_stop_before_what_has_not_ended;
        batch_lease: chunk_comes_whole_and_alone, items_retry_by_themselves,
            throttled_item_waits_its_delay, returned_items_come_again,
            lost_chunk_gives_what_is_left_of_it, chunk_lost_twice_comes_item_by_item,
            item_that_kills_its_workers_fails_alone, late_item_is_recorded_once,
            late_item_counts_though_its_heir_put_it_off,
            item_cancelled_while_it_runs_is_ordered, item_retried_while_its_chunk_waits_comes_once,
            item_given_back_from_a_chunk_that_is_lost_comes_once,
            batch_called_off_keeps_what_was_tried,
            late_item_of_an_older_generation_is_refused,
            worker_hears_of_many_orders_by_and_by;
        uploads: parts_run_as_soon_as_they_are_in, part_is_added_while_its_chunk_runs,
            part_that_comes_again_changes_nothing, upload_that_nobody_goes_on_with_is_given_up,
            open_batch_is_called_off_whole,
            open_batch_expires_at_its_deadline, custom_ids_are_known_across_parts,
            custom_ids_come_in_pages,
            large_batch_is_let_in_by_and_by,
            large_batch_is_called_off_with_what_was_not_let_in,
            all_failed_items_of_a_large_batch_come_again,
            batches_leave_room_for_executions;
        held_uploads: whole_upload_is_seen_when_it_is_sealed,
            upload_that_is_discarded_leaves_nothing, upload_that_is_discarded_cannot_be_sealed,
            repeated_whole_upload_is_the_first,
            held_upload_is_kept_for_an_hour_after_its_last_part;
        steering: paused_batch_gives_nothing, paused_batch_can_be_called_off,
            paused_batch_gives_no_suspects, suspects_of_a_paused_batch_can_be_called_off,
            suspects_count_among_what_may_run_at_once, no_more_runs_at_once_than_may,
            bounded_batch_wakes_a_worker_when_there_is_room, too_many_failures_call_the_rest_off,
            open_batch_whose_only_items_fail_is_over, budget_can_be_raised;
        via_provider: batch_waits_for_its_providers_replies, upload_is_told_when_it_is_sealed,
            batch_that_is_called_off_is_told_at_once, such_notices_are_never_dropped,
            items_that_run_again_are_handed_out;
        cache: equal_execution_is_answered, another_execution_is_not_answered,
            failure_is_not_cached, debug_run_is_not_cached, old_result_is_not_given,
            cleared_cache_answers_nothing, cache_of_one_program_is_cleared,
            equal_item_of_a_batch_is_answered;
    }
}
