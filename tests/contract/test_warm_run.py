"""What `test_execution_run` says of plain runs holds for warm ones: the very same tests, on the other path."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract import test_execution_run as plain
from tests.contract.warm_rig import WarmRig, warm_rig

pytestmark = pytest.mark.ansible


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WarmRig]:
    async with warm_rig(tmp_path) as rig:
        yield rig


test_success_is_counted_and_told_in_order = plain.test_success_is_counted_and_told_in_order
test_a_failure_names_task_line_and_message = plain.test_a_failure_names_task_line_and_message
test_rescued_and_ignored_failures_are_success = plain.test_rescued_and_ignored_failures_are_success
test_a_failure_in_the_rescue_is_the_one_that_counts = plain.test_a_failure_in_the_rescue_is_the_one_that_counts
test_a_loop_that_fails_names_its_items = plain.test_a_loop_that_fails_names_its_items
test_no_log_hides_why = plain.test_no_log_hides_why
test_an_unreachable_host_is_a_failure = plain.test_an_unreachable_host_is_a_failure
test_a_play_that_cannot_start_says_why = plain.test_a_play_that_cannot_start_says_why
test_a_role_that_is_not_there_is_a_failed_run = plain.test_a_role_that_is_not_there_is_a_failed_run
test_a_play_for_nobody_succeeds_and_is_told_apart = plain.test_a_play_for_nobody_succeeds_and_is_told_apart
test_requeue_after_is_read_from_its_module_and_the_last_one_wins = (
    plain.test_requeue_after_is_read_from_its_module_and_the_last_one_wins
)
test_what_a_task_prints_cannot_forge_an_event = plain.test_what_a_task_prints_cannot_forge_an_event
test_nothing_in_a_resource_is_ever_executed = plain.test_nothing_in_a_resource_is_ever_executed
test_a_role_finds_its_neighbours_and_skips_facts_when_told = (
    plain.test_a_role_finds_its_neighbours_and_skips_facts_when_told
)
test_arguments_inventory_and_check_mode_reach_ansible = plain.test_arguments_inventory_and_check_mode_reach_ansible
test_the_projects_own_configuration_and_collections_count = (
    plain.test_the_projects_own_configuration_and_collections_count
)
test_another_stdout_callback_does_not_break_events = plain.test_another_stdout_callback_does_not_break_events
test_the_operators_secrets_are_nowhere_on_disk = plain.test_the_operators_secrets_are_nowhere_on_disk
test_a_few_artifacts_are_kept_and_small = plain.test_a_few_artifacts_are_kept_and_small
test_arguments_that_cannot_be_parsed_are_a_failed_run = plain.test_arguments_that_cannot_be_parsed_are_a_failed_run


async def test_runs_at_once_see_their_own_variables(rig: WarmRig) -> None:
    content = rig.play('- debug: {msg: "I am {{ who }}"}')
    execute = rig.execution()
    await asyncio.gather(*(execute(rig.spec(content, {"who": who})) for who in "abcdef"))
    said = [event["msg"] for event in rig.events if event.get("kind") == "runner_on_ok"]
    assert sorted(said) == [f"I am {who}" for who in "abcdef"]
    assert rig.seen.warm == 6
