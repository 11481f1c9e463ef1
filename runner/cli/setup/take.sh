# The branch at its tip. Where there is none yet, the first push makes it.
git init -q -b message-results results
git -C results remote add origin "$RESULTS_REMOTE"
# The token stays in the environment of the steps that need it.
git -C results config credential.helper \
  '!f() { echo "username=x-access-token"; echo "password=$RESULTS_TOKEN"; }; f'
found=0
git -C results ls-remote --exit-code origin refs/heads/message-results >/dev/null || found=$?
if [ "$found" = 0 ]; then
  git -C results fetch -q --depth=1 origin refs/heads/message-results
  git -C results reset -q --hard FETCH_HEAD
elif [ "$found" != 2 ]; then
  exit "$found"
fi
