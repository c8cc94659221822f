// Opens the reports in a headless Chromium and looks at them as people do:
// small and large, light and dark, with the keyboard, and without the script.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { HOSTILE_NAMES, makeScene } from "./scene.mjs";

const [program, root, out] = process.argv.slice(2);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const scene = await makeScene(program, root);
const at = (name) => join(scene.folder, name);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // Chromium's own sandbox cannot be had in every container.
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});

/// Opens a report; `check` gets the page. Fails on anything but silence.
async function look(name, options, check) {
  const { width = 1280, dark = false, script = true } = options;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: script,
    reducedMotion: "reduce",
  });
  // A busy machine is slow, and not wrong.
  context.setDefaultTimeout(300_000);
  const page = await context.newPage();
  const said = [];
  const asked = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("dialog", (dialog) => said.push(`dialog ${dialog.message()}`));
  page.on("request", (request) => asked.push(request.url()));
  const url = pathToFileURL(at(name)).href;
  await page.goto(url, { waitUntil: "load" });
  await check(page);
  assert.deepEqual(said, [], `${name}: the console is silent`);
  const outside = asked.filter((other) => other !== url && !other.startsWith("data:"));
  assert.deepEqual(outside, [], `${name}: nothing is asked for`);
  await context.close();
}

const visible = (page) => page.locator(".card:visible").count();
/// No sideways scrolling.
const fits = async (page, name) => {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= room, `${name}: ${wide} px in ${room} px`);
};

/// Every face has a picture that the browser can decode.
async function facesAreReal(page, least) {
  const sizes = await page.evaluate(async () => {
    const faces = [...document.querySelectorAll("[role=img]")];
    return Promise.all(
      faces.map(async (face) => {
        const image = new Image();
        image.src = /^url\("(.*)"\)$/.exec(getComputedStyle(face).backgroundImage)[1];
        await image.decode();
        return [image.naturalWidth, image.naturalHeight, face.clientWidth];
      }),
    );
  });
  assert.ok(sizes.length >= least, `${sizes.length} pictures`);
  for (const [width, height, shown] of sizes) {
    assert.ok(width > 0 && height > 0 && Math.max(width, height) <= 128 && shown > 40, `${width} × ${height}`);
  }
}

const unharmed = async (page) => {
  assert.equal(await page.evaluate(() => window.pwned), undefined, "no script of a name or picture ran");
  const foreign = await page.evaluate(() => document.querySelectorAll("main script, main img, main svg, main a, main b > *, main i, main u").length);
  assert.equal(foreign, 0, "no element came out of a name");
};

async function accessible(page, name) {
  // axe needs a script in the page, which the page's own policy forbids to
  // everybody; the debugger's evaluation is not bound by it.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join("\n")}`);
  assert.deepEqual(told, [], `${name}: axe`);
  return violations.map(({ id, impact }) => `${id} (${impact})`);
}

try {
  const minor = new Set();
  for (const width of [1280, 360]) {
    for (const dark of [false, true]) {
      const shade = dark ? "dark" : "light";
      for (const name of ["plan", "applied", "refused"]) {
        await look(`${name}.html`, { width, dark }, async (page) => {
          await fits(page, `${name} at ${width}`);
          await unharmed(page);
          for (const found of await accessible(page, `${name} ${width} ${shade}`)) minor.add(found);
          await page.screenshot({ path: join(out, `${name}-${width}-${shade}.png`), fullPage: true });
        });
      }
    }
  }

  await look("plan.html", {}, async (page) => {
    await facesAreReal(page, 6);
    const text = await page.locator("main").innerText();
    assert.ok(text.includes(`\\u{202e}`) && !text.includes("\u202e"), "what turns a line around is shown by number");
    assert.ok(text.includes(`<img src=x onerror=\\"window.pwned=1\\">`), "a hostile name is shown as it is");
    assert.ok(text.includes("no picture: it cannot be decoded"), "a broken picture says so");
    const kinds = await page.locator("section h2").allInnerTexts();
    assert.deepEqual(
      kinds.map((kind) => kind.replace(/ [\d,]+$/, "")),
      [
        "! held: evidence contradicts who the account is",
        "+ to create",
        "~ to update, undoing a change made on Whop",
        "~ to update",
        "unmanaged, and left alone",
      ],
      "the riskiest first",
    );
    const marks = await page.locator("ins mark").allInnerTexts();
    assert.ok(marks.includes("-Smith"), `${marks}`);
  });

  // Search and filters.
  await look("plan.html", {}, async (page) => {
    const all = await visible(page);
    const told = page.locator("#told");
    assert.equal(await told.innerText(), `${all} of ${all} shown`);
    await page.locator("#search").fill("jane");
    await page.locator("#told", { hasText: /^1 of/ }).waitFor();
    assert.equal(await visible(page), 1);
    await page.keyboard.press("Escape");
    assert.equal(await visible(page), all);
    const creates = await page.locator(".card.create").count();
    await page.locator("input[data-kind=create]").uncheck();
    assert.equal(await visible(page), all - creates);
    await page.locator("#pictured").check();
    assert.equal(await visible(page), await page.locator(".card:visible .faces").count());
    assert.ok((await visible(page)) > 0);
    await page.getByRole("button", { name: "Show all" }).click();
    await page.locator("#told", { hasText: `${all} of ${all} shown` }).waitFor();
  });

  // The keyboard alone.
  await look("plan.html", { width: 360 }, async (page) => {
    const controls = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a, button, input, select, textarea, summary")];
      return all.map((control, index) => ((control.dataset.look = index), index));
    });
    const reached = [];
    for (let press = 0; press < controls.length; press += 1) {
      await page.keyboard.press("Tab");
      const [index, outline] = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return [Number(document.activeElement.dataset.look), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
      });
      assert.ok(outline, `control ${index} shows that it has the focus`);
      reached.push(index);
    }
    assert.deepEqual(reached, controls, "in the order of the page, each one");
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "search");
    await page.keyboard.type("a/b");
    assert.equal(await page.locator("#search").inputValue(), "a/b");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    const before = await page.evaluate(() => document.activeElement.checked);
    await page.keyboard.press("Space");
    assert.equal(await page.evaluate(() => document.activeElement.checked), !before);
    await page.screenshot({ path: join(out, "focus-360-light.png") });
  });

  // Without its script, whole all the same.
  await look("plan.html", { script: false }, async (page) => {
    const cards = (readFileSync(at("plan.html"), "utf8").match(/<article /g) ?? []).length;
    assert.equal(await visible(page), cards);
    assert.equal(await page.locator("form").isVisible(), false);
  });

  // On paper.
  await look("plan.html", {}, async (page) => {
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator("form").isVisible(), false);
    const pdf = await page.pdf({ path: join(out, "plan.pdf"), format: "A4", printBackground: false });
    assert.ok(pdf.length > 20_000);
  });

  // Large.
  const size = statSync(at("many.html")).size;
  assert.ok(size < 20e6, `${size} bytes`);
  await look("many.html", {}, async (page) => {
    const began = Date.now();
    await page.locator("#search").fill("person 4999");
    await page.locator("#told", { hasText: /^1 of/ }).waitFor();
    console.log(`8,000 users: ${(size / 1e6).toFixed(1)} MB, searched in ${Date.now() - began} ms`);
    assert.ok(await page.getByText("3,000 of 8,000 + to create").isVisible(), "it says what it left out");
    await page.screenshot({ path: join(out, "many-1280-light.png") });
  });

  assert.deepEqual(readFileSync(at("again.html")), readFileSync(at("plan.html")), "the same inputs, the same bytes");
  const page = readFileSync(at("plan.html"), "utf8");
  assert.ok(!HOSTILE_NAMES.some((name) => name.includes("<") && name.length > 4 && page.includes(name)));
  copyFileSync(at("plan.html"), join(out, "plan.html"));
  console.log(`minor findings of axe: ${[...minor].join(", ") || "none"}`);
  console.log(`all passed; screenshots in ${out}`);
} finally {
  await browser.close();
  scene.remove();
}
