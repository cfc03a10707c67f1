module srv
