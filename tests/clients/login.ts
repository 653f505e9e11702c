// Signs a user up and logs in with the client that OpenAPI Generator made.
import { Configuration, UserAPIApi } from "./typescript-fetch/index";

const variable = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
};

async function main(): Promise<void> {
  const api = new UserAPIApi(new Configuration({ basePath: variable("LATCHKEY_URL"), apiKey: variable("APP_TOKEN") }));
  const user = { handle: variable("HANDLE"), password: variable("PASSWORD") };
  await api.signup({ signupRequest: user });
  const tokens = await api.login({ loginRequest: user });
  if (!("jwt" in tokens) || tokens.jwt.split(".").length !== 3) throw new Error("the log-in gave no token");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
