"""A person at the page of the policy, in a real browser."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.e2e.browser.conftest import UPSTREAM_KEY, Desk, ask


def test_what_is_in_force_and_how_to_get_one(desk: Desk):
    """Without a policy the page says so, and how to get one; what the seeded records say was denied is listed."""
    page = desk.go("/ui/policy")
    expect(page.locator("section", has=page.locator("#inforce"))).to_contain_text("No policy")
    expect(page.locator("section", has=page.locator("#inforce"))).to_contain_text("ccr start --policy")
    expect(page.locator("section", has=page.locator("#denied"))).to_contain_text("providers")
    desk.shot("policy")


def test_a_simulation_of_a_preset(desk: Desk):
    """The preset is simulated with what was recorded: requests to other providers are blocked, by the rule, with those
    who asked for them; what it cannot tell it says."""
    page = desk.go("/ui/policy")
    page.get_by_label("Policy", exact=True).select_option("preset anthropic-only")
    page.get_by_label("Requests of").select_option("everything that is recorded")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("heading", name="What would have happened")).to_be_visible()
    blocked = page.get_by_role("table", name="Blocked")
    expect(blocked).to_be_visible()
    expect(page.locator("section", has=page.locator("#outcome"))).to_contain_text("The router would not start so")
    desk.shot("policy-simulated")
    page.evaluate("document.getElementById('simulate').scrollIntoView()")
    desk.shot("ui-policy", full=False)


def test_a_simulation_of_another_configuration(desk: Desk):
    """A configuration that is pasted: requests are sent elsewhere, from where to where, with what that costs; the text
    is still there, without the key in it."""
    ask(desk.house)
    key = "sk-pasted-key-1234567890abcdef"
    config = {
        "Providers": [
            {"name": "cheap", "api_base_url": "https://api.deepseek.com/chat/completions", "api_key": key,
             "models": ["deepseek-chat"]}
        ],
        "Router": {"default": "cheap,deepseek-chat"},
    }  # fmt: skip
    page = desk.go("/ui/policy")
    page.get_by_label("Configuration", exact=True).select_option("the text below")
    page.get_by_text("Paste a configuration").click()
    page.get_by_label("A whole configuration file").fill(json.dumps(config, indent=1))
    page.get_by_label("Requests of").select_option("everything that is recorded")
    page.get_by_role("button", name="Simulate").click()
    elsewhere = page.get_by_role("table", name="Sent elsewhere")
    expect(elsewhere).to_contain_text("cheap,deepseek-chat")
    assert key not in page.content()
    assert UPSTREAM_KEY not in page.content()
    assert '"cheap"' in page.get_by_label("A whole configuration file").input_value()
    desk.shot("policy-rerouted")


def test_a_policy_with_mistakes(desk: Desk):
    """A pasted policy that cannot be read is told by its places, and the page is whole."""
    page = desk.go("/ui/policy")
    page.get_by_label("Policy", exact=True).select_option("the document below")
    page.get_by_text("Paste a policy").click()
    page.get_by_label("A policy document").fill('{"name": "mine", "providers": {"alowed": []}}')
    desk.expected.add("400 (Bad Request)")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("heading", name="The policy cannot be used")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("alowed")


def test_the_audit_log_is_proven(desk: Desk):
    """The end of the chain is checked with every look, and the whole of it when that is asked for."""
    ask(desk.house)
    page = desk.go("/ui/policy")
    audit = page.locator("section", has=page.locator("#audit"))
    expect(audit).to_contain_text("unbroken")
    audit.get_by_role("button", name="Prove the whole chain").click()
    expect(page.get_by_role("heading", name="The whole proof")).to_be_visible()
    expect(page.locator("section", has=page.locator("#audit"))).to_contain_text("proven")
    desk.shot("policy-proven")


def test_in_the_dark(night: Desk):
    """The page in dark colours, with a simulation."""
    page = night.go("/ui/policy")
    page.get_by_label("Policy", exact=True).select_option("preset anthropic-only")
    page.get_by_label("Requests of").select_option("everything that is recorded")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("heading", name="What would have happened")).to_be_visible()
    night.shot("policy-dark")


def test_on_a_phone(phone: Desk):
    """The page is as wide as the window, before and after a simulation."""
    page = phone.go("/ui/policy")
    assert not phone.is_wider_than_the_window()
    page.get_by_label("Policy", exact=True).select_option("preset anthropic-only")
    page.get_by_label("Requests of").select_option("everything that is recorded")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("heading", name="What would have happened")).to_be_visible()
    assert not phone.is_wider_than_the_window()
    phone.shot("policy-phone")
