//! What can be relied on of an engine. Each scenario plays on the simulated engine, and with
//! `BOWLINE_TEST_ENGINE=docker` on the real one: that both agree is what makes the simulated one
//! worth testing with.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "scenarios/containers.rs"]
mod containers;
#[path = "scenarios/former_images.rs"]
mod former_images;
#[path = "scenarios/hooks.rs"]
mod hooks;
#[path = "scenarios/lifecycle.rs"]
mod lifecycle;
#[path = "scenarios/networks.rs"]
mod networks;
#[path = "scenarios/read_back.rs"]
mod read_back;
mod support;
#[path = "scenarios/world.rs"]
mod world;

use world::World;

macro_rules! scenarios {
    ($($room:ident: $($name:ident),+;)+) => {
        mod simulated {
            use super::*;
            $($(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    $room::$name(&World::simulated(stringify!($name))).await;
                }
            )+)+
        }

        async fn all_on(engine: impl Fn() -> bowline::engine::docker::Docker) -> Vec<&'static str> {
            let mut failed = Vec::new();
            $($(
                let world = World::real(engine(), stringify!($name));
                let play = tokio::spawn(async move { $room::$name(&world).await });
                if play.await.is_err() {
                    failed.push(stringify!($name));
                }
            )+)+
            failed
        }
    };
}

scenarios! {
    read_back: a_rich_spec_is_read_back_as_it_was_asked_for, what_nobody_said_is_not_there,
        an_image_s_share_is_in_what_is_read, what_is_said_goes_before_the_image_s_share;
    containers: a_name_is_given_once, a_bad_name_is_refused, a_missing_image_is_named,
        a_renamed_container_stays_itself, limits_change_while_it_runs, what_is_missing_is_not_found,
        removing_what_is_gone_succeeds, a_container_without_the_mark_is_a_stranger,
        labels_that_came_with_the_image_make_a_stranger,
        strangers_with_a_name_or_port_that_is_asked_about_are_told,
        a_port_is_taken_at_the_start, a_volume_in_use_stays, a_volume_is_made_once;
    lifecycle: start_and_stop_may_be_said_twice, a_process_that_takes_no_notice_is_killed,
        a_killed_container_is_not_restarted, a_crashed_container_is_restarted,
        a_policy_gives_up_after_its_retries, an_exit_code_is_told, a_paused_container_goes_on,
        what_runs_is_removed_by_force, health_begins_and_becomes_healthy,
        a_pause_is_no_verdict_on_health,
        health_fails_with_its_output, a_disabled_check_says_nothing, what_cannot_start_is_refused,
        each_act_is_heard, the_output_is_told;
    hooks: a_command_in_a_container_tells_its_end_and_its_words,
        a_command_that_takes_longer_than_it_may_is_left, a_command_in_what_does_not_run_is_refused,
        hooks_are_owed_until_they_are_done, a_container_leaves_its_names_and_keeps_its_address,
        without_a_chosen_subnet_it_is_told_that_connections_are_cut,
        hooks_run_around_each_start_and_stop, a_hook_after_the_start_that_fails_is_run_again,
        a_hook_before_the_stop_that_fails_holds_nothing_up,
        a_service_is_prepared_once_before_its_first_start,
        a_preparation_that_fails_is_kept_to_be_read_and_done_anew,
        what_is_left_of_a_preparation_goes_when_nothing_is_to_be_prepared,
        a_preparation_has_the_volumes_of_its_container;
    networks: a_network_is_read_back, a_container_joins_and_leaves,
        a_network_with_active_endpoints_stays, a_static_address_needs_a_chosen_subnet,
        a_static_address_must_be_of_the_subnet, joining_a_missing_network_fails,
        several_networks_are_joined_at_once, a_taken_static_address_is_refused,
        a_network_s_name_is_given_once, a_shared_network_is_told_by_name_while_its_container_lives;
    former_images: an_image_of_the_past_is_run_by_its_id_though_its_name_moved,
        an_image_of_the_past_that_is_gone_is_told_and_its_name_taken;
}

#[tokio::test]
async fn the_same_on_docker() {
    if support::engine().is_none() {
        return;
    }
    support::images::import_all();
    let failed = all_on(|| support::engine().expect("it was there before")).await;
    support::images::remove_all();
    assert!(failed.is_empty(), "on the real engine failed: {failed:?}");
}
