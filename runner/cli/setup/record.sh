record() (
  set -e
  cd results
  git config user.name message-runner
  git config user.email message-runner@noreply.invalid
  # Lines are only ever added, and may stand in any order: after a race, both sides' are kept.
  echo '*.jsonl merge=union' >.git/info/attributes
  for file in *.jsonl; do
    [ -f "$file" ] || continue
    # A last line that was torn when a job was killed would be damage in the middle of a file.
    sed -i -e '$!b' -e '/}\r\{0,1\}$/!d' "$file"
    git add "$file"
  done
  git diff --cached --quiet || git commit -q -m "Record what was sent"
  git rev-parse -q --verify HEAD >/dev/null || exit 0
  for pause in 1 2 4 8 16; do
    if git push -q origin HEAD:refs/heads/message-results; then exit 0; fi
    sleep "$pause"
    ours=$(git rev-parse HEAD)
    git fetch -q --depth=1 origin refs/heads/message-results || continue
    git reset -q --hard FETCH_HEAD
    git cherry-pick --allow-empty --keep-redundant-commits "$ours" >/dev/null
  done
  echo "The manifest could not be pushed. The next run finds on Toloka what this one sent." >&2
  exit 1
)
record
