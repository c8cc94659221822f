// What every program of this folder needs: steps that are told apart, and the
// users that the script hands over.
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';

export interface User {
  id: string;
  email: string;
  title: string;
  /** The name and picture of the manifest that is applied later. */
  name: string;
  avatar: string;
}

export interface Data {
  platform: string;
  users: User[];
}

const env = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

/** The API of the emulator, of one that allows two requests a minute, and the keys that they know. */
export const base = env('BASE');
export const limited = env('LIMITED');
export const key = env('KEY');
export const poorKey = env('POOR_KEY');
export const data: Data = JSON.parse(readFileSync(env('DATA'), 'utf8'));

let failures = 0;

/** Runs one step, and goes on to the next whatever comes of it. */
export async function step(name: string, run: () => Promise<string | void>): Promise<void> {
  try {
    const note = await run();
    console.log(`ok ${name}${note ? `: ${note}` : ''}`);
  } catch (error) {
    failures += 1;
    const why = error instanceof Error ? `${error.constructor.name} ${error.message}` : String(error);
    console.log(`FAIL ${name}: ${why.replaceAll('\n', ' ')}`);
  }
}

/** Ends the program with what the steps came to. */
export function finish(): never {
  process.exit(failures === 0 ? 0 : 1);
}

export function demand(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(why);
}

export function same(one: unknown, other: unknown, what: string): void {
  const [left, right] = [JSON.stringify(one), JSON.stringify(other)];
  demand(left === right, `${what}: ${left} is not ${right}`);
}

/** Whatever a call was refused with; fails if it was not refused. */
export async function refusal(call: () => PromiseLike<unknown>): Promise<any> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('the call was not refused');
}

export const bytes = (path: string): Buffer => readFileSync(path);

export const digest = (of: Uint8Array): string => createHash('sha256').update(of).digest('hex');

/** The bytes behind a public picture's URL, which needs no key. */
export async function picture(url: string): Promise<string> {
  const answer = await fetch(url);
  demand(answer.ok, `${url} answers ${answer.status}`);
  return digest(new Uint8Array(await answer.arrayBuffer()));
}
