//! The program as users meet it: real processes, a real Redis, a network that fails, and a stub in
//! the place of the language model. After each story every invariant must hold.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "e2e/access.rs"]
mod access;
#[path = "e2e/bad_input.rs"]
mod bad_input;
#[path = "e2e/batch.rs"]
mod batch;
#[path = "e2e/batch_run.rs"]
mod batch_run;
#[path = "e2e/bulk.rs"]
mod bulk;
#[path = "e2e/cli.rs"]
mod cli;
#[path = "e2e/crash.rs"]
mod crash;
#[path = "e2e/execute.rs"]
mod execute;
#[path = "e2e/fleet.rs"]
mod fleet;
#[path = "e2e/metrics.rs"]
mod metrics;
#[path = "e2e/mlflow.rs"]
mod mlflow;
#[path = "e2e/model_faults.rs"]
mod model_faults;
#[path = "e2e/modules.rs"]
mod modules;
#[path = "e2e/money.rs"]
mod money;
#[path = "e2e/network.rs"]
mod network;
#[path = "e2e/objects.rs"]
mod objects;
#[path = "e2e/python.rs"]
mod python;
#[path = "e2e/site.rs"]
mod site;
#[path = "e2e/sources.rs"]
mod sources;
#[path = "e2e/streaming.rs"]
mod streaming;
#[path = "e2e/tools.rs"]
mod tools;
#[path = "e2e/traces.rs"]
mod traces;
#[path = "e2e/tracking.rs"]
mod tracking;
#[path = "e2e/via_provider.rs"]
mod via_provider;
#[path = "e2e/webhooks.rs"]
mod webhooks;

macro_rules! on_both_stores {
    ($($area:ident: $($case:ident),+;)+) => {
        mod on_sqlite { $(mod $area { $(
            #[tokio::test]
            async fn $case() {
                crate::$area::$case(crate::site::Store::Sqlite).await;
            }
        )+ })+ }
        mod on_redis { $(mod $area { $(
            #[tokio::test]
            async fn $case() {
                crate::$area::$case(crate::site::Store::Redis).await;
            }
        )+ })+ }
    };
}

on_both_stores! {
    execute: execution_gives_outputs, one_that_waits_gets_the_record, dry_run_runs_nothing,
        debug_run_keeps_a_trace, repeated_request_runs_once, waiting_execution_is_called_off,
        running_execution_is_called_off, failed_execution_is_run_again,
        equal_execution_is_answered_from_the_cache, later_execution_waits_for_its_time,
        hanging_execution_times_out, events_are_streamed_to_the_end, programs_come_and_go;
    batch: batch_is_done_in_order, bad_items_fail_alone, batch_is_called_off,
        failed_items_are_run_again;
    batch_run: file_becomes_a_file, killed_run_goes_on, interrupted_run_goes_on,
        what_failed_runs_again_by_the_same_command, restarted_server_is_waited_for;
    bulk: uploaded_batch_outlives_killed_runners, upload_dies_with_its_client_or_its_server,
        parts_outlive_a_killed_api, download_goes_on_where_a_killed_api_ended;
    access: nobody_comes_in_without_a_good_token, scopes_are_kept_to, owners_are_kept_apart;
    bad_input: bad_requests_are_refused_in_words;
    model_faults: throttled_execution_comes_back_when_asked, failing_model_is_asked_again,
        failing_model_fails_at_last, refusing_model_fails_at_once, nonsense_fails_in_words;
    modules: chain_is_repeated_until_it_is_good, map_runs_on_each_and_keeps_their_order,
        judge_has_an_answer_tried_again_with_advice, request_may_choose_a_part_of_a_program,
        best_of_several_attempts_is_taken, nearest_examples_are_shown, picture_reaches_the_model;
    metrics: worker_shows_its_numbers;
    money: costs_are_told, batch_stops_at_its_budget, execution_stops_at_its_budget,
        budget_needs_a_price;
    python: python_program_gives_outputs, python_program_is_traced_as_a_native_one,
        both_runtimes_leave_the_same_record, python_batch_is_done,
        python_inputs_are_checked_before_they_wait,
        changed_python_program_is_known_before_it_is_run,
        python_program_without_types_takes_any_object,
        python_execution_of_a_killed_runner_runs_again, python_that_came_over_http_is_not_run;
    streaming: fields_grow_on_a_terminal, fields_grow_before_the_record_is_there,
        nothing_is_told_unless_it_is_asked_for,
        fallback_to_json_voids_what_was_told, broken_stream_begins_anew,
        broken_stream_is_sent_again_within_the_call,
        endpoint_without_streams_tells_all_at_the_end,
        equal_executions_share_a_reply_and_hear_the_same, followers_outlive_a_killed_runner,
        closed_connection_calls_nothing_off, python_fields_grow_before_the_record_is_there,
        python_fallback_voids_what_was_told, python_stream_that_breaks_begins_anew;
    mlflow: mlflow_alias_is_followed_while_work_goes_on;
    sources: hub_repository_is_run_and_followed, github_repository_is_run_at_a_commit;
    cli: commands_do_what_they_say, batch_of_a_file_is_followed;
    tools: agent_uses_the_tools_of_a_server, agent_goes_on_when_tools_do_not,
        agent_uses_servers_of_the_official_package,
        agent_is_called_off_in_a_call, call_of_a_killed_runner_is_made_again,
        agent_asks_services, registered_agent_starts_nothing;
    traces: trace_leads_from_the_caller_to_the_model, retry_is_a_span_that_pays_no_reply_twice,
        embeddings_have_spans_as_other_calls_of_models,
        what_is_called_off_says_so,
        reply_of_an_equal_call_is_marked, items_of_a_batch_have_traces_of_their_own,
        what_the_caller_does_not_record_is_not_recorded, collector_may_be_away,
        last_spans_are_sent_at_the_end, python_program_has_spans_as_a_native_one,
        contents_are_shown_where_the_operator_says_so;
    tracking: executions_are_recorded_in_mlflow, agents_are_traced_as_autolog_does,
        batch_is_recorded_as_one_run_and_its_items;
    via_provider: batch_is_answered_by_its_provider, killed_runner_has_nothing_paid_twice,
        batch_that_is_called_off_is_called_off_there,
        batch_that_a_killed_runner_made_is_called_off_too;
    webhooks: webhook_is_called_and_signed, webhook_is_called_until_it_is_taken,
        webhook_that_is_gone_is_not_called_again, webhook_is_called_when_a_batch_has_ended,
        webhook_of_a_killed_runner_is_called_by_its_heir;
    crash: execution_of_a_killed_runner_runs_again,
        what_a_killed_runner_paid_for_is_not_paid_for_again, batch_outlives_killed_runners,
        accepted_outlives_a_killed_api, stopped_runner_finishes_or_gives_back,
        stopped_twice_gives_back_at_once;
}

/// What is the same on every store.
mod on_any_store {
    use crate::{mlflow, site::Store, sources, tracking, via_provider};

    #[tokio::test]
    async fn mlflow_model_is_run_by_version_alias_and_run() {
        mlflow::mlflow_model_is_run_by_version_alias_and_run(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn mlflow_model_in_a_bucket_is_run() {
        mlflow::mlflow_model_in_a_bucket_is_run(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn mlflow_model_in_a_bucket_says_why_it_is_not_read() {
        mlflow::mlflow_model_in_a_bucket_says_why_it_is_not_read(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn mlflow_may_be_away_and_come_back() {
        mlflow::mlflow_may_be_away_and_come_back(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn mlflow_says_what_it_has_not() {
        mlflow::mlflow_says_what_it_has_not(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn mlflow_may_be_away_and_nothing_is_lost() {
        tracking::mlflow_may_be_away_and_nothing_is_lost(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn experiment_that_is_deleted_meanwhile_is_restored() {
        tracking::experiment_that_is_deleted_meanwhile_is_restored(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn mlflow_that_wants_a_password_is_shown_one() {
        tracking::mlflow_that_wants_a_password_is_shown_one(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn runs_in_mlflow_outlive_a_killed_worker() {
        tracking::runs_in_mlflow_outlive_a_killed_worker(Store::Redis).await;
    }

    #[tokio::test]
    async fn what_a_provider_leaves_is_asked_of_the_model() {
        via_provider::what_a_provider_leaves_is_asked_of_the_model(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn refused_request_fails_alone() {
        via_provider::refused_request_fails_alone(Store::Redis).await;
    }

    #[tokio::test]
    async fn refused_batch_fails_in_the_providers_words() {
        via_provider::refused_batch_fails_in_the_providers_words(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn provider_that_is_out_of_order_is_asked_again() {
        via_provider::provider_that_is_out_of_order_is_asked_again(Store::Redis).await;
    }

    #[tokio::test]
    async fn batch_that_is_let_go_is_not_waited_for() {
        via_provider::batch_that_is_let_go_is_not_waited_for(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn equal_requests_are_one_line() {
        via_provider::equal_requests_are_one_line(Store::Redis).await;
    }

    #[tokio::test]
    async fn what_cannot_go_via_its_provider_is_refused() {
        via_provider::what_cannot_go_via_its_provider_is_refused(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn file_becomes_a_file_via_the_provider() {
        via_provider::file_becomes_a_file_via_the_provider(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_is_said() {
        sources::what_cannot_be_fetched_is_said(Store::Sqlite).await;
    }

    #[tokio::test]
    async fn two_workers_share_what_is_fetched() {
        sources::two_workers_share_what_is_fetched().await;
    }
}
