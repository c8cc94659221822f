// What a reader of Whop's page "Sync your users" writes: its example as it
// stands, for each user; then its second section by the calls it links to. The
// client has no options but the base, so the version is the SDK's own.
import Whop, { toFile } from '@whop/sdk';
import {
  base, bytes, data, demand, digest, finish, limited, picture, poorKey, refusal, same, step,
} from './common.js';
import { profile, view } from './dialect.js';

process.env.WHOP_API_KEY = process.env.KEY;
process.env.WHOP_BASE_URL = base;

const client = new Whop({ apiKey: process.env.WHOP_API_KEY });
const { platform, users } = data;
const made = new Map<string, { company: string; owner: string }>();

async function everybody() {
  const found = [];
  for await (const company of client.companies.list({ parent_company_id: platform, first: 5, direction: 'asc' })) {
    // Those of the last step have none, and are nobody's.
    if (company.metadata) found.push(company);
  }
  return found;
}

async function flow(): Promise<void> {
  const [first, second] = [users[0]!, users[1]!];

  await step('enroll users as connected accounts', async () => {
    for (const user of users) {
      const company = await client.companies.create({
        email: user.email,
        parent_company_id: platform, // your platform's company ID
        title: user.title,
        metadata: {
          internal_user_id: user.id, // your platform's user ID
        },
      });
      demand(company.id.startsWith('biz_'), `no company id: ${company.id}`);
      same(company.metadata, { internal_user_id: user.id }, 'metadata');
      // As recorded, a new owner has no name until one is set.
      const documented = process.env.WHOP_SYNC_ANSWERS === 'documented';
      same(company.owner_user.name, documented ? user.title : null, "the owner's name");
      made.set(user.id, { company: company.id, owner: company.owner_user.id });
    }
  });

  await step('page through them', async () => {
    const ids = (await everybody()).map((company) => company.metadata!.internal_user_id);
    same(ids, users.map((user) => user.id), 'ids in order of creation');
  });

  await step('retrieve one', async () => {
    const company = await client.companies.retrieve(made.get(first.id)!.company);
    same([company.title, company.social_links], [first.title, []], 'title and links');
  });

  await step('upload an avatar, and set name and picture for the company only', async () => {
    const { owner } = made.get(first.id)!;
    const before = await client.users.retrieve(owner);
    const file = await client.files.upload(await toFile(bytes(first.avatar), 'avatar.png'));
    same([file.upload_status, typeof file.size], ['ready', 'string'], 'file');
    const set = await client.users.update(
      owner, profile(platform, { name: 'Set by the SDK', profile_picture: { id: file.id } }));
    same(set.name, 'Set by the SDK', 'name in the answer');
    const here: any = await client.users.retrieve(owner, view(platform));
    same(here.name, 'Set by the SDK', 'name for the company');
    same(await picture(here.profile_picture.url), digest(bytes(first.avatar)), 'picture for the company');
    const after = await client.users.retrieve(owner);
    same([after.name, after.profile_picture === null], [before.name, before.profile_picture === null],
      'the global profile');
  });

  await step('mint a chat token for the resulting user', async () => {
    const token = await client.accessTokens.create({
      company_id: platform, user_id: made.get(first.id)!.owner, scoped_actions: ['chat:read'],
    });
    demand(token.token.split('.').length === 3, 'the token is no JWT');
    const life = Date.parse(token.expires_at) - Date.now();
    demand(life > 3_000_000 && life <= 3_600_000, `it lives ${life} ms`);
  });

  await step('401', async () => {
    const error = await refusal(() => new Whop({ apiKey: 'nobody' }).companies.retrieve(platform));
    demand(error instanceof Whop.AuthenticationError, String(error));
  });
  await step('403', async () => {
    const poor = new Whop({ apiKey: poorKey });
    const error = await refusal(() =>
      poor.users.update(made.get(first.id)!.owner, profile(platform, { name: 'No' })));
    demand(error instanceof Whop.PermissionDeniedError, String(error));
  });
  await step('404', async () => {
    const error = await refusal(() => client.users.retrieve('user_nobody'));
    demand(error instanceof Whop.NotFoundError, String(error));
  });
  await step('409, and its own retries of it', async () => {
    const error = await refusal(() => client.companies.create({
      email: 'conflict@shop.example', parent_company_id: platform, title: 'Conflict',
    }));
    demand(error instanceof Whop.ConflictError, String(error));
  });
  await step('400 names the parameter', async () => {
    const error = await refusal(() => client.companies.create({ parent_company_id: platform } as any));
    demand(error instanceof Whop.BadRequestError, String(error));
    same((error.error as any).error.param, 'title', 'param');
  });
  await step('429', async () => {
    const slow = new Whop({ baseURL: limited, maxRetries: 0 });
    await slow.companies.retrieve(platform);
    await slow.companies.retrieve(platform);
    const error = await refusal(() => slow.companies.retrieve(platform));
    demand(error instanceof Whop.RateLimitError, String(error));
    demand(/Try again in \d+ seconds?\./.test(error.message), error.message);
  });
  await step('its own retry after a 429 with Retry-After', async () => {
    const { owner } = made.get(second.id)!;
    const set = await client.users.update(owner, profile(platform, { name: 'Limited once' }));
    same(set.name, 'Limited once', 'name');
  });
  await step('its own retry after a 502 in HTML', async () => {
    const { owner } = made.get(second.id)!;
    const set = await client.users.update(owner, profile(platform, { name: 'Gateway once' }));
    same(set.name, 'Gateway once', 'name');
  });
  // Why whop-sync looks before it repeats a create here.
  await step('its own retry after a lost answer makes a second company', async () => {
    await client.companies.create({
      email: 'twice@shop.example', parent_company_id: platform, title: 'Twice',
    });
    let count = 0;
    for await (const company of client.companies.list({ parent_company_id: platform, first: 50 })) {
      count += Number(company.title === 'Twice');
    }
    same(count, 2, 'companies');
  });
}

async function check(): Promise<void> {
  const companies = await everybody();
  await step('exactly the companies of the manifest', async () => {
    same(companies.map((c) => c.metadata!.internal_user_id).sort(), users.map((u) => u.id).sort(), 'ids');
  });
  for (const user of users) {
    await step(`${user.id} is as the manifest has it`, async () => {
      const company = companies.find((found) => found.metadata!.internal_user_id === user.id)!;
      same(company.title, user.title, 'title');
      const here: any = await client.users.retrieve(company.owner_user.id, view(platform));
      same(here.name, user.name, 'name for the company');
      same(await picture(here.profile_picture.url), digest(bytes(user.avatar)), 'picture for the company');
      const everywhere = await client.users.retrieve(company.owner_user.id);
      demand(everywhere.name !== user.name, 'the global name was touched');
    });
  }
}

await (process.argv[2] === 'check' ? check() : flow());
finish();
