// Where this SDK puts the company of a profile: its types say.
import type { UserRetrieveParams, UserUpdateParams } from '@whop/sdk/resources/users';

export const profile = (platform: string, changes: UserUpdateParams): UserUpdateParams => ({
  account_id: platform, ...changes,
});
export const view = (platform: string): UserRetrieveParams => ({ account_id: platform });
