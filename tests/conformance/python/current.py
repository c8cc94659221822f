"""The current API through Whop's newest Python SDK, in the version that it
speaks by itself. It refuses any answer that does not fit its types."""

import sys

from common import (
    BASE, KEY, LIMITED, PLATFORM, POOR_KEY, USERS,
    demand, digest, finish, lives_an_hour, names_a_delay, picture, put, read, refused, same, step, until_ready,
)
from whop_sdk import Whop
from whop_sdk.environment import WhopEnvironment
from whop_sdk.core.api_error import ApiError
from whop_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnauthorizedError


def client(key=KEY, base=BASE, **options):
    return Whop(token=key, environment=WhopEnvironment(api=base, vault=base), **options)


whop = client()
made = {}


def keyed(name):
    return {"additional_headers": {"Idempotency-Key": name}}


def create(user, key):
    return whop.accounts.create(
        email=user["email"], title=user["title"], metadata={"external_id": user["id"]}, request_options=keyed(key)
    )


def everybody():
    return list(whop.accounts.list(parent_account_id=PLATFORM, first=5, direction="asc"))


def flow():
    first, second, last = USERS[0], USERS[1], USERS[-1]

    @step("create connected accounts")
    def _():
        for user in USERS[:-1]:
            account = create(user, f"create-{user['id']}")
            same(account.parent_account.id, PLATFORM, "parent")
            same(account.metadata, {"external_id": user["id"]}, "metadata")
            made[user["id"]] = account

    @step("replay an idempotency key")
    def _():
        again = whop.accounts.with_raw_response.create(
            email=first["email"], title=first["title"], metadata={"external_id": first["id"]},
            request_options=keyed(f"create-{first['id']}"),
        )
        same(again.data.id, made[first["id"]].id, "account")
        same(again.headers.get("idempotent-replayed"), "true", "header")

    @step("400 for an idempotency key with another body")
    def _():
        error = refused(BadRequestError, lambda: create(second, f"create-{first['id']}"))
        same(error.body["error"]["code"], "idempotency_key_mismatch", "code")

    @step("its own retry after a lost answer makes no second account")
    def _():
        made[last["id"]] = create(last, f"create-{last['id']}")

    @step("page through them")
    def _():
        same([a.metadata["external_id"] for a in everybody()], [u["id"] for u in USERS], "ids in order of creation")
        pages = whop.accounts.list(parent_account_id=PLATFORM, first=5).iter_pages()
        same([len(page.items) for page in pages], [5, 5, len(USERS) - 10], "sizes of the pages")

    @step("retrieve one and its own")
    def _():
        one = whop.accounts.retrieve(made[first["id"]].id)
        same([one.title, one.email], [first["title"], first["email"]], "title and email")
        same(whop.accounts.me().id, PLATFORM, "own account")

    @step("upload an avatar, and set name and picture for the platform only")
    def _():
        owner = made[first["id"]].owner.id
        before = whop.users.retrieve(owner)
        avatar = read(first["avatar"])
        file = whop.files.create(filename="avatar.png", visibility="public")
        put(file.upload_url, file.upload_headers, avatar)
        now = until_ready(lambda: whop.files.retrieve(file.id))
        same([now.upload_status, now.size], ["ready", len(avatar)], "file")
        same(picture(now.url), digest(avatar), "the file behind its URL")
        listed = whop.files.list(file_ids=[file.id])
        same([f.id for f in listed], [file.id], "the file in a list")
        shown = whop.users.update(owner, account_id=PLATFORM, name="Set by the SDK", profile_picture={"id": file.id})
        same(shown.name, "Set by the SDK", "name in the answer")
        here = whop.users.retrieve(owner, account_id=PLATFORM)
        same(here.name, "Set by the SDK", "name for the platform")
        same(picture(here.profile_picture.url), digest(avatar), "picture for the platform")
        after = whop.users.retrieve(owner)
        same(after.name, before.name, "the global name")
        demand(picture(after.profile_picture.url) != digest(avatar), "the global picture changed")

    @step("mint a chat token for the resulting user")
    def _():
        token = whop.access_tokens.create(
            account_id=PLATFORM, user_id=made[first["id"]].owner.id, scoped_actions=["chat:read"]
        )
        lives_an_hour(token.token, token.expires_at)

    @step("ask what the key may do")
    def _():
        granted = whop.permissions.list(resource_id=PLATFORM, actions="company:create_child,user:profile:update")
        same([(p.action, p.granted) for p in granted.data],
             [("company:create_child", True), ("user:profile:update", True)], "permissions")

    @step("401")
    def _():
        refused(UnauthorizedError, lambda: client("nobody").accounts.list())

    @step("403")
    def _():
        owner = made[first["id"]].owner.id
        # The SDK has a ForbiddenError, but not for this operation.
        error = refused(ApiError, lambda: client(POOR_KEY).users.update(owner, account_id=PLATFORM, name="No"))
        same(error.status_code, 403, "status")

    @step("404")
    def _():
        refused(NotFoundError, lambda: whop.users.retrieve("user_nobody"))

    @step("409, and its own retries of it")
    def _():
        error = refused(ConflictError, lambda: whop.accounts.create(
            email="conflict@shop.example", title="Conflict", request_options=keyed("conflict")))
        same(error.body["error"]["code"], "idempotency_request_in_progress", "code")

    @step("429")
    def _():
        slow = client(base=LIMITED, max_retries=0)
        slow.accounts.list()
        slow.accounts.list()
        # The same with its TooManyRequestsError.
        error = refused(ApiError, lambda: slow.accounts.list())
        same(error.status_code, 429, "status")
        names_a_delay(error.body["error"]["message"])

    @step("its own retry after a 429 with Retry-After")
    def _():
        shown = whop.users.update(made[second["id"]].owner.id, account_id=PLATFORM, name="Limited once")
        same(shown.name, "Limited once", "name")

    @step("its own retry after a 502 in HTML")
    def _():
        shown = whop.users.update(made[second["id"]].owner.id, account_id=PLATFORM, name="Gateway once")
        same(shown.name, "Gateway once", "name")

    @step("update an account")
    def _():
        metadata = {"external_id": second["id"], "tier": "gold"}
        changed = whop.accounts.update(made[second["id"]].id, metadata=metadata)
        same(changed.metadata, metadata, "metadata")

    @step("delete an account")
    def _():
        spare = whop.accounts.create(email="spare@shop.example", title="Spare", request_options=keyed("spare"))
        same(whop.accounts.delete(spare.id).deleted, True, "deleted")
        refused(NotFoundError, lambda: whop.accounts.retrieve(spare.id))


def check():
    """What the manifest asks for is what the SDK reads."""
    accounts = {account.metadata["external_id"]: account for account in everybody()}

    @step("exactly the accounts of the manifest")
    def _():
        same(sorted(accounts), sorted(user["id"] for user in USERS), "ids")

    for user in USERS:

        @step(f"{user['id']} is as the manifest has it")
        def _():
            account = accounts[user["id"]]
            same([account.email, account.title], [user["email"], user["title"]], "email and title")
            here = whop.users.retrieve(account.owner.id, account_id=PLATFORM)
            same(here.name, user["name"], "name for the platform")
            same(picture(here.profile_picture.url), digest(read(user["avatar"])), "picture for the platform")
            demand(whop.users.retrieve(account.owner.id).name != user["name"], "the global name was touched")


check() if sys.argv[1:] == ["check"] else flow()
finish()
