// The current API through Whop's TypeScript SDK: `accounts`, spoken in the
// version that whop-sync speaks. What the SDK's types do not know of it yet is
// passed as `any`, as its users would.
import Whop, { toFile } from '@whop/sdk';
import {
  base, bytes, data, demand, digest, finish, key, limited, picture, poorKey, refusal, same, step,
} from './common.js';

const options = { baseURL: base, apiKey: key, version: '2026-10-15-1' };
const whop = new Whop(options);
const { platform, users } = data;
/** Account and owner by the platform's own id. */
const made = new Map<string, { account: string; owner: string }>();

const keyed = (name: string) => ({ headers: { 'Idempotency-Key': name } });
const body = (user: (typeof users)[number]) => ({
  email: user.email,
  title: user.title,
  metadata: { external_id: user.id },
});

async function everybody(): Promise<any[]> {
  const found: any[] = [];
  for await (const account of whop.accounts.list({
    parent_account_id: platform, first: 5, direction: 'asc',
  } as any)) {
    found.push(account);
  }
  return found;
}

async function flow(): Promise<void> {
  const [first, second] = [users[0]!, users[1]!];

  await step('create connected accounts', async () => {
    for (const user of users.slice(0, -1)) {
      const account: any = await whop.accounts.create(body(user), keyed(`create-${user.id}`));
      demand(account.id.startsWith('biz_'), `no account id: ${account.id}`);
      same(account.parent_account.id, platform, 'parent');
      same(account.metadata, { external_id: user.id }, 'metadata');
      made.set(user.id, { account: account.id, owner: account.owner.id });
    }
  });

  await step('replay an idempotency key', async () => {
    const { data: again, response } = await whop.accounts
      .create(body(first), keyed(`create-${first.id}`))
      .withResponse();
    same(again.id, made.get(first.id)!.account, 'account');
    same(response.headers.get('idempotent-replayed'), 'true', 'header');
  });

  await step('400 for an idempotency key with another body', async () => {
    const error = await refusal(() => whop.accounts.create(body(second), keyed(`create-${first.id}`)));
    demand(error instanceof Whop.BadRequestError, String(error));
    same((error.error as any).error.code, 'idempotency_key_mismatch', 'code');
  });

  await step('its own retry after a lost answer makes no second account', async () => {
    const last = users.at(-1)!;
    const account: any = await whop.accounts.create(body(last), keyed(`create-${last.id}`));
    made.set(last.id, { account: account.id, owner: account.owner.id });
  });

  await step('page through them', async () => {
    const found = await everybody();
    const ids = found.map((account) => account.metadata.external_id);
    same(ids, users.map((user) => user.id), 'ids in order of creation');
    const pages: number[] = [];
    const paged = await whop.accounts.list({ parent_account_id: platform, first: 5 } as any);
    for await (const page of paged.iterPages()) pages.push(page.getPaginatedItems().length);
    // The SDK asks on until a page has no cursor or nothing in it; `has_next_page` it never reads.
    if (pages.at(-1) === 0) pages.pop();
    same(pages, [5, 5, users.length - 10], 'sizes of the pages');
  });

  await step('retrieve one and its own', async () => {
    const one: any = await whop.accounts.retrieve(made.get(first.id)!.account);
    same([one.title, one.email], [first.title, first.email], 'title and email');
    same((await whop.accounts.me()).id, platform, 'own account');
  });

  await step('upload an avatar, and set name and picture for the platform only', async () => {
    const { owner } = made.get(first.id)!;
    const before = await whop.users.retrieve(owner);
    // By hand, because the SDK's helper leaves the file private.
    const file: any = await whop.files.create({ filename: 'avatar.png', visibility: 'public' });
    const sent = await fetch(file.upload_url, {
      method: 'PUT', headers: file.upload_headers, body: new Uint8Array(bytes(first.avatar)),
    });
    demand(sent.ok, `storage answers ${sent.status}`);
    let now: any = file;
    for (let n = 0; n < 40 && now.upload_status !== 'ready'; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      now = await whop.files.retrieve(file.id);
    }
    same([now.upload_status, now.size], ['ready', bytes(first.avatar).length], 'file');
    same(await picture(now.url), digest(bytes(first.avatar)), 'the file behind its URL');
    const set = await whop.users.update(owner, {
      account_id: platform, name: 'Set by the SDK', profile_picture: { id: file.id },
    });
    same(set.name, 'Set by the SDK', 'name in the answer');
    const here: any = await whop.users.retrieve(owner, { account_id: platform });
    same(here.name, 'Set by the SDK', 'name for the platform');
    same(await picture(here.profile_picture.url), digest(bytes(first.avatar)), 'picture for the platform');
    const after: any = await whop.users.retrieve(owner);
    same(after.name, before.name, 'the global name');
    demand((await picture(after.profile_picture.url)) !== digest(bytes(first.avatar)), 'the global picture changed');
  });

  await step("the SDK's own upload", async () => {
    const file = await whop.files.upload(await toFile(bytes(second.avatar), 'avatar.png'));
    same([file.upload_status, file.visibility], ['ready', 'private'], 'file');
  });

  await step('mint a chat token for the resulting user', async () => {
    const token = await whop.accessTokens.create({
      account_id: platform, user_id: made.get(first.id)!.owner, scoped_actions: ['chat:read'],
    } as any);
    demand(token.token.split('.').length === 3, 'the token is no JWT');
    const life = Date.parse(token.expires_at) - Date.now();
    demand(life > 3_000_000 && life <= 3_600_000, `it lives ${life} ms`);
  });

  await step('401', async () => {
    const error = await refusal(() => new Whop({ ...options, apiKey: 'nobody' }).accounts.list());
    demand(error instanceof Whop.AuthenticationError, String(error));
  });
  await step('403', async () => {
    const poor = new Whop({ ...options, apiKey: poorKey });
    const error = await refusal(() =>
      poor.users.update(made.get(first.id)!.owner, { account_id: platform, name: 'No' }));
    demand(error instanceof Whop.PermissionDeniedError, String(error));
  });
  await step('404', async () => {
    const error = await refusal(() => whop.users.retrieve('user_nobody'));
    demand(error instanceof Whop.NotFoundError, String(error));
  });
  await step('409, and its own retries of it', async () => {
    const error = await refusal(() =>
      whop.accounts.create({ email: 'conflict@shop.example', title: 'Conflict' }, keyed('conflict')));
    demand(error instanceof Whop.ConflictError, String(error));
    same((error.error as any).error.code, 'idempotency_request_in_progress', 'code');
  });
  await step('429', async () => {
    const slow = new Whop({ ...options, baseURL: limited, maxRetries: 0 });
    await slow.accounts.list();
    await slow.accounts.list();
    const error = await refusal(() => slow.accounts.list());
    demand(error instanceof Whop.RateLimitError, String(error));
    demand(/Try again in \d+ seconds?\./.test(error.message), error.message);
  });
  await step('its own retry after a 429 with Retry-After', async () => {
    const { owner } = made.get(second.id)!;
    const set = await whop.users.update(owner, { account_id: platform, name: 'Limited once' });
    same(set.name, 'Limited once', 'name');
  });
  await step('its own retry after a 502 in HTML', async () => {
    const { owner } = made.get(second.id)!;
    const set = await whop.users.update(owner, { account_id: platform, name: 'Gateway once' });
    same(set.name, 'Gateway once', 'name');
  });
  await step('update an account', async () => {
    const { account } = made.get(second.id)!;
    const changed: any = await whop.accounts.update(account, {
      metadata: { external_id: second.id, tier: 'gold' },
    } as any);
    same(changed.metadata, { external_id: second.id, tier: 'gold' }, 'metadata');
  });
}

/** What the manifest asks for is what the SDK reads. */
async function check(): Promise<void> {
  const accounts = await everybody();
  await step('exactly the accounts of the manifest', async () => {
    same(accounts.map((a) => a.metadata.external_id).sort(), users.map((u) => u.id).sort(), 'ids');
  });
  for (const user of users) {
    await step(`${user.id} is as the manifest has it`, async () => {
      const account = accounts.find((found) => found.metadata.external_id === user.id);
      same([account.email, account.title], [user.email, user.title], 'email and title');
      const here: any = await whop.users.retrieve(account.owner.id, { account_id: platform });
      same(here.name, user.name, 'name for the platform');
      same(await picture(here.profile_picture.url), digest(bytes(user.avatar)), 'picture for the platform');
      const everywhere: any = await whop.users.retrieve(account.owner.id);
      demand(everywhere.name !== user.name, 'the global name was touched');
    });
  }
}

await (process.argv[2] === 'check' ? check() : flow());
finish();
